DROP INDEX by_n ON t;
