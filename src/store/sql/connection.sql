-- What each connection is told first.

-- What is committed is on the disk, whatever ends the machine.
PRAGMA synchronous = FULL;
PRAGMA trusted_schema = OFF;
