-- ids beyond the signed range, and zero
CREATE TABLE t (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40));
