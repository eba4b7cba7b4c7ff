-- many chunks by a key of text
CREATE TABLE t (id INT NOT NULL, n INT NOT NULL, s VARCHAR(40), k VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL DEFAULT '', PRIMARY KEY (k, id), KEY by_id (id));
