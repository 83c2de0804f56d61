"""The one door for deleting: what bears our mark goes, by directory handles; everything else is left alone."""
