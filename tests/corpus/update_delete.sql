# UPDATE and DELETE on MySQL 8 and 9.
UPDATE t SET a = 1
UPDATE t SET a = 1, b = b + 1 WHERE id = 5 AND workspace_id = 42
UPDATE LOW_PRIORITY IGNORE t SET a = 1
UPDATE IGNORE t AS x SET x.a = 1 WHERE x.id = 1 ORDER BY x.id LIMIT 5
UPDATE t SET a = DEFAULT, b = NULL, c = DEFAULT(c) ORDER BY a DESC LIMIT 10
UPDATE a, b SET a.x = b.x WHERE a.id = b.id
UPDATE a, b, c SET a.x = b.x, c.y = 1 WHERE a.id = b.id AND b.id = c.id
UPDATE a INNER JOIN b ON a.id = b.id SET a.x = b.x WHERE b.y = 1
UPDATE a LEFT JOIN b USING (id), c SET a.x = 1 WHERE c.id = a.id
UPDATE db.t SET db.t.a = 1
UPDATE t PARTITION (p0) SET a = 1
UPDATE t USE INDEX (i) SET a = 1 WHERE b = 2
UPDATE t JOIN (SELECT id, MAX(v) m FROM u GROUP BY id) d ON d.id = t.id SET t.m = d.m
UPDATE t SET a = (SELECT MAX(a) FROM u WHERE u.id = t.id)
UPDATE t SET a = CASE id WHEN 1 THEN 'x' WHEN 2 THEN 'y' ELSE a END WHERE id IN (1, 2)
UPDATE t SET doc = JSON_SET(doc, '$.a', 1), n = n - 1, s = CONCAT(s, 'x')
UPDATE t SET a = @x := @x + 1 ORDER BY b
UPDATE /*+ NO_MERGE(d) */ t SET a = 1
UPDATE `t` SET `t`.`a` = ?, `t`.`updated_at` = ? WHERE `t`.`id` = ?
WITH c AS (SELECT id FROM u) UPDATE t JOIN c USING (id) SET t.a = 1
WITH c AS (SELECT id FROM u) UPDATE t SET a = 1 WHERE id IN (SELECT id FROM c)
DELETE FROM t
DELETE FROM t WHERE id = 1 AND workspace_id = 42 ORDER BY id LIMIT 1
DELETE LOW_PRIORITY QUICK IGNORE FROM t WHERE a = 1
DELETE FROM t AS x WHERE x.a = 1
DELETE FROM t PARTITION (p0, p1) WHERE a = 1
DELETE a FROM a JOIN b ON a.id = b.id WHERE b.x = 1
DELETE a, b FROM a INNER JOIN b INNER JOIN c WHERE a.id = b.id AND b.id = c.id
DELETE a.*, b.* FROM a, b WHERE a.id = b.id
DELETE FROM a USING a JOIN b ON a.id = b.id WHERE b.x = 1
DELETE FROM a, b USING a INNER JOIN b INNER JOIN c WHERE a.id = b.id
DELETE FROM a.*, b.* USING a, b WHERE a.id = b.id
DELETE x FROM t AS x LEFT JOIN u ON u.id = x.id WHERE u.id IS NULL
DELETE db1.a FROM db1.a JOIN db2.b ON a.id = b.id
DELETE FROM t WHERE a IN (SELECT a FROM (SELECT a FROM t LIMIT 5) AS d)
DELETE FROM t WHERE created_at < NOW() - INTERVAL 30 DAY LIMIT 1000
DELETE /*+ INDEX(t i) */ FROM t WHERE a = 1
WITH c AS (SELECT id FROM u) DELETE FROM t WHERE id IN (SELECT id FROM c)
WITH c AS (SELECT id FROM u) DELETE t FROM t JOIN c USING (id)
DELETE FROM `t` WHERE `t`.`id` = ?
