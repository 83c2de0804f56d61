"""Chats as files: written for people and programs, and read from what other programs write. Knows no history."""
