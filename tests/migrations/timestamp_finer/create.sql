-- an hour that some time zones do not have
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v TIMESTAMP NULL);
