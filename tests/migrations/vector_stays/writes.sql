INSERT INTO t (id, v) VALUES (1000 + {n} * 1 + 0, TO_VECTOR('[1,2,3]'));
UPDATE t SET v = TO_VECTOR('[1,2,3]') WHERE id = 1 + ({n} * 7 + 0) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, TO_VECTOR('[1,2,3]'));
