"""The append-only event log in SQLite: the one record that screens, resumes and training all read."""
