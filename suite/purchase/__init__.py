"""What training costs on each machine: the user's prices, costs with their intervals, the price at which one wins."""
