"""What the keys of a view do, by the groups of the key table: functions over ``context.View``."""
