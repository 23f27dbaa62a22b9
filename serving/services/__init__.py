"""What a server answers, apart from how requests reach it."""
