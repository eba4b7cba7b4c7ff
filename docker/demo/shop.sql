-- The keyspace of shared tables: run in the database `shop` of every cluster.
CREATE TABLE customers (
  workspace_id BIGINT UNSIGNED NOT NULL,
  id BIGINT UNSIGNED NOT NULL,
  name VARCHAR(100) NOT NULL,
  country CHAR(2) NOT NULL,
  PRIMARY KEY (workspace_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE orders (
  workspace_id BIGINT UNSIGNED NOT NULL,
  id BIGINT UNSIGNED NOT NULL,
  customer_id BIGINT UNSIGNED NOT NULL,
  state VARCHAR(20) NOT NULL DEFAULT 'new',
  total DECIMAL(10, 2) NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (workspace_id, id),
  KEY index_orders_on_customer (workspace_id, customer_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE line_items (
  workspace_id BIGINT UNSIGNED NOT NULL,
  id BIGINT UNSIGNED NOT NULL,
  order_id BIGINT UNSIGNED NOT NULL,
  product VARCHAR(100) NOT NULL,
  quantity INT NOT NULL,
  PRIMARY KEY (workspace_id, id),
  KEY index_line_items_on_order (workspace_id, order_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE countries (
  code CHAR(2) NOT NULL PRIMARY KEY,
  name VARCHAR(60) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO countries VALUES ('DE', 'Germany'), ('FR', 'France'), ('IE', 'Ireland'), ('JP', 'Japan'), ('US', 'United States');
