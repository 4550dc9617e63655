"""The paper's study [nguyen2026], repeated: its theorem, its Figures 3 to 6, and Table 5 on data of your own."""
