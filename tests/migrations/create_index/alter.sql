CREATE INDEX by_n ON t (n);
