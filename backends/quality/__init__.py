"""The arithmetic of comparing two models' predictions. numpy alone, no native call."""
