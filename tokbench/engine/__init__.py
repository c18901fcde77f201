"""The one loop: plan, shards, store, and what runs them."""
