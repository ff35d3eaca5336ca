"""Problems of your own: a jsonl file, or a folder of the library datasets. ``docs/data.md`` is the schema. No torch."""
