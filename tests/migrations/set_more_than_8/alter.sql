ALTER TABLE t MODIFY v SET('a','b','c','d','e','f','g','h','i');
