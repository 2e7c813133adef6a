"""The stores: a narrow port over DynamoDB, the catalogue as its gate, and one repository for each kind of record."""
