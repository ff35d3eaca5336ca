"""From a prepared run to its last checkpoint; it knows no method by name."""
