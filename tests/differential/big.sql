# Answers at and beyond the size of one packet.
!modes big
SELECT REPEAT('a', 16777210);
SELECT REPEAT('a', 16777215);
SELECT REPEAT('b', 20000000), REPEAT('c', 16777216);
