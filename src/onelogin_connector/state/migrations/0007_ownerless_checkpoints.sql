-- Sinks of whose checkpoint nothing may be left: each was deleted, or its making was not finished.
CREATE TABLE ownerless_checkpoints (
    sink TEXT PRIMARY KEY
) STRICT;
