"""Small widgets that several pages share. They know no page."""
