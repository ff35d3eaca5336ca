"""What is written for readers: folders of tables, published rows, the page. No torch."""
