"""What the numbers mean: pure rules between what devices say and what the journal stores."""
