"""What the trainers of both models use: the tables of the Rust side, the commands' frame, the cards' pictures."""
