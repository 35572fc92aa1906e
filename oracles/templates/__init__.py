"""The templates of the generated pages."""
