"""Reference pages of the documentation, made from the contract, the routes and the commands."""
