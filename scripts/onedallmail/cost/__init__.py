"""What a stack costs in a month: list prices of its resources, and stated assumptions for what depends on use."""
