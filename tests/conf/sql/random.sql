CREATE TABLE a(x INTEGER CHECK (x > random()));
