-- A migration that is let through.
SET @bulkhead_ddl = 'submit';
ALTER TABLE users ADD COLUMN city VARCHAR(40);
ALTER TABLE users ADD INDEX index_users_on_city (city);
ALTER TABLE users MODIFY age BIGINT;
CREATE TABLE orders (id BIGINT PRIMARY KEY, user_id BIGINT NOT NULL);
CREATE INDEX index_orders_on_user_id ON orders (user_id);
/* bulkhead: ddl_acknowledged */ ALTER TABLE users DROP COLUMN city;
UPDATE users SET age = 3;
