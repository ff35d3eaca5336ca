"""The suites: a visible dict, in the order of the paper. Values are imported on use.

Add a suite: write its file, add its line.
"""

from __future__ import annotations

SUITES: dict[str, str] = {
    "in_distribution": "suites.in_distribution:InDistribution",
    "robustness": "suites.robustness:Robustness",
    "continual": "suites.continual:Continual",
    "ood": "suites.ood:OutOfDomain",
    "stability": "suites.stability:Stability",
    "privilege_illusion": "suites.privilege_illusion:PrivilegeIllusion",
    "token_ablation": "suites.token_ablation:TokenAblation",
    "privileged_input": "suites.privileged_input:PrivilegedInput",
    "divergence": "suites.divergence:UniformObjectives",
    "ablation": "suites.ablation:Ablation",
    "sensitivity": "suites.sensitivity:Sensitivity",
    "trajectory": "suites.trajectory:Trajectory",
    "regime_audit": "suites.regime_audit:RegimeAudit",
    "transfer_audit": "suites.transfer_audit:TransferAudit",
    "cell_audit": "suites.cell_audit:CellAudit",
    "phases": "suites.phases:Phases",
    "controls": "suites.controls:ControlArms",
    "tuning": "suites.tuning:Tuning",
    "methods": "suites.methods:EveryMethod",
}
ALIASES = {"continual_learning": "continual"}
"""Other names of suites."""
TUNING = "tuning"
"""The suite whose published table holds each method's own learning rate."""
