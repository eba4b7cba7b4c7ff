INSERT INTO t VALUES ('a', 1), ('b', 2), ('c', 3), ('ö', 4);
