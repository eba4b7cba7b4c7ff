CREATE TABLE `t` (
  `a` int DEFAULT NULL,
  `b` int NOT NULL,
  UNIQUE KEY `ua` (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
