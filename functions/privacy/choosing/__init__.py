"""What follows a choice: the signed receipt, and telling recipients."""
