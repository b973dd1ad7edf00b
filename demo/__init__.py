"""Sample sector databases of province 44: a hidden population, its traces in five sectors, planted defects, and the truth about both."""
