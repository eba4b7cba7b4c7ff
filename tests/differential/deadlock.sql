# A deadlock: the lighter transaction is the victim, and its session goes on.
!modes unsharded,use
CREATE TABLE t (id INT PRIMARY KEY, v INT);
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8);
!session light
BEGIN;
SELECT v FROM t WHERE id = 1 FOR UPDATE;
!session heavy
BEGIN;
UPDATE t SET v = v + 1 WHERE id > 1;
!session light
!send SELECT v FROM t WHERE id = 8 FOR UPDATE
!blocked
!session heavy
UPDATE t SET v = 0 WHERE id = 1;
!session light
!receive
SELECT 1;
ROLLBACK;
!session heavy
COMMIT;
SELECT * FROM t ORDER BY id;
