# 1. Configure Model

import requests

url = "http://localhost:8000/llm/configure_model/"
data = {
    "model_id": "example_model",
    "model_name": "gpt-3",
    "model_type": "openai",
    "model_kwargs": {
        "temperature": 0.7
    }
}

response = requests.post(url, json=data)
print(response.json())

# 2. Load Model

import requests

url = "http://localhost:8000/llm/load_model/abcd1234-efgh-5678-ijkl-9012mnop3456"

response = requests.post(url)
print(response.json())

# 3. Unload Model

import requests

url = "http://localhost:8000/llm/unload_model/example_model"

response = requests.post(url)
print(response.json())

# 4. Perform Inference

import requests

url = "http://localhost:8000/llm/inference/"
data = {
    "model_id": "example_model",
    "prompt": "What is the capital of France?",
    "inference_kwargs": {
        "max_tokens": 50
    }
}

response = requests.post(url, json=data)
print(response.json())

# 5. List Model Configurations

import requests

url = "http://localhost:8000/llm/configurations/"

response = requests.get(url)
print(response.json())

# 6. Get Model Configuration

import requests

url = "http://localhost:8000/llm/configuration/abcd1234-efgh-5678-ijkl-9012mnop3456"

response = requests.get(url)
print(response.json())

# 7. Delete Model Configuration

import requests

url = "http://localhost:8000/llm/configuration/abcd1234-efgh-5678-ijkl-9012mnop3456"

response = requests.delete(url)
print(response.json())

# 8. List Loaded Models

import requests

url = "http://localhost:8000/llm/loaded_models/"

response = requests.get(url)
print(response.json())
