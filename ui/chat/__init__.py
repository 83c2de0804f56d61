"""The chat page: conversations, transcript, composer, model picker."""
