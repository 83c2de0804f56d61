"""The application's side of the engine processes: one handle per loaded model, and what happens when one dies."""
