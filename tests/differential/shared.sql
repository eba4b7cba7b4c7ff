# Shared tables: what names one workspace answers as one server would, wherever the workspace lives. Rows of workspaces 1 to 8 lie on all shards.
!modes shared
SELECT 1;
SELECT 'text', 1 + 1, NOW() > 0;
INSERT INTO orders (id, workspace_id, state, amount) VALUES (1, 1, 'new', 1.5), (2, 1, 'paid', 2.5);
INSERT INTO orders (id, workspace_id, state) VALUES (1, 2, 'new');
INSERT INTO orders (id, workspace_id, state) VALUES (1, 3, 'new'), (2, 3, 'paid'), (3, 3, NULL);
INSERT INTO orders (workspace_id, id, state) VALUES (4, 1, 'x');
INSERT INTO orders SET workspace_id = 5, id = 1, state = 'set';
!text
INSERT INTO orders (id, workspace_id, state, amount) VALUES (1, 6, 's', 6), (1, 7, 's', 7), (1, 8, 's', 8);
SELECT * FROM orders WHERE workspace_id = 1 ORDER BY id;
SELECT * FROM orders WHERE workspace_id = 2;
SELECT * FROM orders WHERE workspace_id = 3 ORDER BY state, id;
SELECT o.* FROM orders AS o WHERE o.workspace_id = 4 AND o.state = 'x';
SELECT COUNT(*), SUM(amount), MAX(id) FROM orders WHERE workspace_id = 6;
SELECT state, COUNT(*) FROM orders WHERE workspace_id = 3 GROUP BY state HAVING COUNT(*) > 0 ORDER BY state;
SELECT * FROM orders WHERE workspace_id IN (7);
SELECT * FROM orders WHERE (workspace_id = 7 OR workspace_id = 7) AND id > 0;
SELECT * FROM orders WHERE 8 = workspace_id;
SELECT * FROM orders WHERE workspace_id = '8';
SELECT * FROM orders WHERE workspace_id = 999;
SELECT * FROM orders WHERE workspace_id = 1 AND nope = 1;
SELECT * FROM orders WHERE workspace_id = 1 FOR UPDATE;
UPDATE orders SET state = 'changed' WHERE workspace_id = 3 AND id = 1;
UPDATE orders SET state = 'changed' WHERE workspace_id = 3 AND id = 1;
UPDATE orders SET amount = amount + 1 WHERE workspace_id = 1;
SELECT ROW_COUNT();
DELETE FROM orders WHERE workspace_id = 3 AND id = 3;
REPLACE INTO orders (id, workspace_id, state) VALUES (1, 2, 'replaced');
INSERT INTO orders (id, workspace_id, state) VALUES (1, 2, 'dup');
INSERT IGNORE INTO orders (id, workspace_id, state) VALUES (1, 2, 'dup');
SHOW WARNINGS;
INSERT INTO orders (id, workspace_id, state) VALUES (1, 2, 'd') ON DUPLICATE KEY UPDATE state = VALUES(state);
INSERT INTO items (workspace_id, order_id, name) VALUES (1, 1, 'a');
SELECT LAST_INSERT_ID();
INSERT INTO items (workspace_id, order_id, name) VALUES (1, 1, 'b'), (1, 2, 'c');
SELECT LAST_INSERT_ID(), ROW_COUNT();
INSERT INTO items (workspace_id, order_id, name) VALUES (1, 1, 'a');
INSERT INTO items (workspace_id, order_id, name) SELECT workspace_id, id, state FROM orders WHERE workspace_id = 1;
SELECT o.id, i.name FROM orders o JOIN items i ON i.order_id = o.id AND i.workspace_id = o.workspace_id
  WHERE o.workspace_id = 1 ORDER BY o.id, i.name;
SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.order_id = o.id AND i.workspace_id = 1
  WHERE o.workspace_id = 1 ORDER BY 1, 2;
SELECT * FROM (SELECT id, state FROM orders WHERE workspace_id = 1) AS derived ORDER BY id;
SELECT id FROM orders WHERE workspace_id = 1 AND id IN (SELECT order_id FROM items WHERE workspace_id = 1) ORDER BY id;
SELECT id FROM orders WHERE workspace_id = 1 UNION ALL SELECT id FROM items WHERE workspace_id = 1 ORDER BY id LIMIT 2;
WITH mine AS (SELECT * FROM orders WHERE workspace_id = 1) SELECT COUNT(*) FROM mine;
SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS n FROM orders WHERE workspace_id = 1 ORDER BY id;
UPDATE orders o JOIN items i ON i.workspace_id = o.workspace_id AND i.order_id = o.id SET o.state = 'joined'
  WHERE o.workspace_id = 1 AND i.name = 'a';
DELETE i FROM items i JOIN orders o ON o.id = i.order_id AND o.workspace_id = i.workspace_id WHERE i.workspace_id = 1;
SELECT * FROM orders WHERE workspace_id = 1 ORDER BY id;
SELECT * FROM items WHERE workspace_id = 1 ORDER BY id;
BEGIN;
INSERT INTO orders (id, workspace_id, state) VALUES (50, 5, 'tx');
SAVEPOINT s;
INSERT INTO orders (id, workspace_id, state) VALUES (51, 5, 'tx');
ROLLBACK TO s;
SELECT * FROM orders WHERE workspace_id = 5 ORDER BY id;
COMMIT;
SELECT * FROM orders WHERE workspace_id = 5 ORDER BY id;
START TRANSACTION;
DELETE FROM orders WHERE workspace_id = 5;
ROLLBACK;
SELECT COUNT(*) FROM orders WHERE workspace_id = 5;
SET @workspace_id = 6;
SELECT * FROM orders WHERE workspace_id = 6;
SET @workspace_id = NULL;
SELECT * FROM orders WHERE workspace_id = 6 /*workspace_id:6*/;
!prepare by_workspace SELECT * FROM orders WHERE workspace_id = ? ORDER BY id
!execute by_workspace int:1
!execute by_workspace int:2
!execute by_workspace int:3
!execute by_workspace str:4
!execute by_workspace uint:5
!prepare by_cursor SELECT * FROM orders WHERE workspace_id = ? ORDER BY id
!cursor by_cursor int:1
!fetch by_cursor 1
!fetch by_cursor 5
!prepare insert INSERT INTO orders (id, workspace_id, state) VALUES (?, ?, ?)
!execute insert int:70 int:7 str:p
!execute insert int:70 int:7 str:p
!execute insert int:80 int:8 str:p
!prepare update UPDATE orders SET state = ? WHERE workspace_id = ? AND id = ?
!execute update str:q int:8 int:80
!prepare wrong SELECT nope FROM orders WHERE workspace_id = ?
!execute by_workspace int:8
SELECT * FROM orders WHERE workspace_id = 7 ORDER BY id;
!raw SELECT id FROM orders WHERE workspace_id = 1; SELECT id FROM orders WHERE workspace_id = 2
!raw INSERT INTO orders (id, workspace_id) VALUES (90, 1); INSERT INTO orders (id, workspace_id) VALUES (90, 2)
SELECT 1 FROM orders WHERE workspace_id = 1 LIMIT 1;
SELEC 1;
SELECT * FROM orders WHERE workspace_id = 1 AND;
SELECT SLEEP(0) FROM orders WHERE workspace_id = 2 LIMIT 1;
SELECT SQL_CALC_FOUND_ROWS id FROM orders WHERE workspace_id = 1 LIMIT 1;
SELECT FOUND_ROWS();
SELECT DATABASE();
!reset_connection
SELECT * FROM orders WHERE workspace_id = 4;
