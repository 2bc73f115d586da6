import { describe, expect, test } from 'vitest';
import type { Operation } from '../../src/bridge/openapi-document.ts';
import { compile, describeServices, operationsOf } from './openapi-fixture.ts';

const LIBRARY = compile(`
  // Library has books.
  service Library {
    // GetBook returns one book, with \`its\` pages. And more is said.
    //
    // A second paragraph.
    // NOT_FOUND: no such book. FAILED_PRECONDITION: it is lent
    // out, so wait.
    // INVALID_ARGUMENT: not an id.
    rpc GetBook(GetBookRequest) returns (Book) {
      option (google.api.http) = {
        get: "/v1/books/{id}"
        additional_bindings { get: "/v1/shelves/{shelf.id}/books/{id}" }
      };
    }
    // ListBooks returns all.
    rpc ListBooks(ListBooksRequest) returns (ListBooksResponse) {
      option (google.api.http) = {get: "/v1/books" response_body: "books"};
    }
    rpc UpdateBook(UpdateBookRequest) returns (Book) {
      option deprecated = true;
      option (google.api.http) = {patch: "/v1/{name=shelves/*/books/*}" body: "book"};
    }
    rpc MoveBook(MoveBookRequest) returns (google.protobuf.Empty) {
      option (google.api.http) = {post: "/v1/books/{book_id}:move" body: "*"};
    }
    rpc ReadFile(ReadFileRequest) returns (google.api.HttpBody) {
      option (google.api.http) = {get: "/v1/files/{path=**}"};
    }
    rpc WriteFile(google.api.HttpBody) returns (google.protobuf.Empty) {
      option (google.api.http) = {put: "/v1/*/file" body: "*"};
    }
    rpc WatchBooks(GetBookRequest) returns (stream ListBooksResponse) {
      option (google.api.http) = {get: "/v1/watch" response_body: "books"};
    }
    rpc Anything(GetBookRequest) returns (Book) {
      option (google.api.http) = {custom: {kind: "*" path: "/v1/anything"}};
    }
    rpc Unbound(GetBookRequest) returns (Book);
  }
  message GetBookRequest {
    // Its number.
    int64 id = 1 [(buf.validate.field).int64.gt = 0];
    Shelf shelf = 2;
  }
  message Shelf { string id = 1; Shelf within = 2; repeated Shelf beside = 3; }
  message Book { string title = 1 [(buf.validate.field).string.min_len = 1]; }
  message ListBooksRequest {
    // How many.
    uint32 page_size = 1 [(buf.validate.field).uint32.lte = 100];
    repeated string tag = 2;
    Filter filter = 3;
    google.protobuf.FieldMask read_mask = 4;
    map<string, string> labels = 5;
    google.protobuf.Struct free = 6;
    repeated Book alike = 7;
    string owner = 8 [(buf.validate.field).string.min_len = 1, deprecated = true];
  }
  message Filter { Sort sort = 1; google.protobuf.Timestamp since = 2; Filter both = 3; }
  enum Sort { SORT_UNSPECIFIED = 0; SORT_TITLE = 1; }
  // ListBooksResponse has the books.
  message ListBooksResponse { repeated Book books = 1; }
  message UpdateBookRequest {
    string name = 1;
    // The book as it shall be.
    Book book = 2 [(buf.validate.field).required = true];
    bool force = 3;
  }
  message MoveBookRequest { string book_id = 1; string shelf = 2 [(buf.validate.field).string.min_len = 1]; }
  message ReadFileRequest { string path = 1; }
`);

const document = describeServices(LIBRARY, { examples: { Library_MoveBook: { shelf: 'low' } } });
const operations = operationsOf(document);

function operation(key: string): Operation {
  const found = operations.get(key);
  if (found === undefined) throw new Error(`no ${key}; there are ${[...operations.keys()].join(', ')}`);
  return found;
}

const parameterNames = (key: string) =>
  operation(key).parameters?.map(({ in: place, name }) => `${place} ${name}`);

test('has one operation for each binding, and an id for each operation', () => {
  expect([...operations].map(([key, { operationId }]) => `${key} ${operationId}`)).toEqual([
    'GET /v1/books/{id} Library_GetBook',
    'GET /v1/shelves/{shelf.id}/books/{id} Library_GetBook_2',
    'PATCH /v1/shelves/{shelf.id}/books/{id} Library_UpdateBook',
    'GET /v1/books Library_ListBooks',
    'POST /v1/books/{book_id}:move Library_MoveBook',
    'GET /v1/files/{path} Library_ReadFile',
    'PUT /v1/{segment_1}/file Library_WriteFile',
    'GET /v1/watch Library_WatchBooks',
    ...['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'].map(
      (verb) => `${verb.toUpperCase()} /v1/anything Library_Anything_${verb}`,
    ),
  ]);
});

describe('comments', () => {
  test('the first sentence is the summary, without the name; all prose is the description', () => {
    const { summary, description } = operation('GET /v1/books/{id}');
    expect(summary).toBe('Returns one book, with its pages');
    expect(description).toBe('Returns one book, with `its` pages. And more is said.\n\nA second paragraph.');
  });

  test('a single sentence is not said twice', () => {
    const { summary, description } = operation('GET /v1/books');
    expect([summary, description]).toEqual(['Returns all', undefined]);
  });

  test('codes of errors become responses by their status', () => {
    const { responses } = operation('GET /v1/books/{id}');
    expect(Object.entries(responses).map(([status, { description }]) => [status, description])).toEqual([
      ['200', 'OK.'],
      [
        '400',
        'A field or a parameter is missing, unknown or not of its form.\n\n' +
          '`FAILED_PRECONDITION`: It is lent out, so wait.\n\n`INVALID_ARGUMENT`: Not an id.',
      ],
      ['401', 'No key.'],
      ['404', '`NOT_FOUND`: No such book.'],
      ['default', 'Any other error.'],
    ]);
    expect(responses[404]?.content).toEqual({
      'application/json': { schema: { $ref: '#/components/schemas/Error' } },
    });
  });

  test('a service is a tag that names what has no path', () => {
    expect(document.tags).toEqual([
      { name: 'Library', description: 'Library has books.\n\nOver RPC alone, and so not here: `Unbound`.' },
    ]);
  });
});

describe('parameters', () => {
  test('a path variable has the schema and the comment of its field', () => {
    expect(operation('GET /v1/books/{id}').parameters?.[0]).toEqual({
      name: 'id',
      in: 'path',
      required: true,
      description: 'Its number. Above 0.',
      schema: { type: 'string', format: 'int64' },
    });
  });

  test('what is not in the path is a query parameter, nested fields by their dotted names', () => {
    expect(parameterNames('GET /v1/books/{id}')).toEqual(['path id', 'query shelf.id']);
    expect(parameterNames('GET /v1/shelves/{shelf.id}/books/{id}')).toEqual(['path shelf.id', 'path id']);
    expect(parameterNames('GET /v1/books')).toEqual([
      'query page_size',
      'query tag',
      'query filter.sort',
      'query filter.since',
      'query read_mask',
      'query owner',
    ]);
  });

  test('a query parameter keeps rules, comment, deprecation and whether it must be there', () => {
    const [size, tag, ...others] = operation('GET /v1/books').parameters ?? [];
    expect(size).toEqual({
      name: 'page_size',
      in: 'query',
      description: 'How many.',
      schema: { type: 'integer', minimum: 0, maximum: 100 },
    });
    expect(tag?.schema).toEqual({ type: 'array', items: { type: 'string' } });
    expect(others.at(-1)).toEqual({
      name: 'owner',
      in: 'query',
      required: true,
      deprecated: true,
      schema: { type: 'string', minLength: 1 },
    });
  });

  test('a variable of several segments is one parameter for each wildcard, named as on the same path before', () => {
    const update = operation('PATCH /v1/shelves/{shelf.id}/books/{id}');
    expect(update.parameters).toEqual([
      {
        name: 'shelf.id',
        in: 'path',
        required: true,
        description: 'A part of `name`, `shelves/*/books/*`.',
        schema: { type: 'string' },
      },
      {
        name: 'id',
        in: 'path',
        required: true,
        description: 'A part of `name`, `shelves/*/books/*`.',
        schema: { type: 'string' },
      },
      { name: 'force', in: 'query', schema: { type: 'boolean' } },
    ]);
  });

  test('the rest of a path may hold slashes', () => {
    expect(operation('GET /v1/files/{path}').parameters?.[0]?.description).toBe(
      'It may hold slashes, and may be empty.',
    );
  });
});

describe('bodies', () => {
  test('body "*" is the message without what stands in the path, with its example', () => {
    expect(operation('POST /v1/books/{book_id}:move').requestBody).toEqual({
      required: true,
      content: {
        'application/json': {
          schema: { $ref: '#/components/schemas/MoveBookRequestBody' },
          example: { shelf: 'low' },
        },
      },
    });
    expect(document.components.schemas.MoveBookRequestBody).toEqual({
      type: 'object',
      properties: { shelf: { type: 'string', minLength: 1 } },
      required: ['shelf'],
      additionalProperties: false,
    });
  });

  test('a body that is one field is that field', () => {
    expect(operation('PATCH /v1/shelves/{shelf.id}/books/{id}').requestBody).toEqual({
      description: 'The book as it shall be.',
      required: true,
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Book' } } },
    });
  });

  test('HttpBody is anything', () => {
    expect(operation('PUT /v1/{segment_1}/file').requestBody).toEqual({ content: { '*/*': {} } });
    expect(operation('GET /v1/files/{path}').responses[200]?.content).toEqual({ '*/*': {} });
  });

  test('response_body is the field itself', () => {
    expect(operation('GET /v1/books').responses[200]).toEqual({
      description: 'The books.',
      content: {
        'application/json': { schema: { type: 'array', items: { $ref: '#/components/schemas/Book' } } },
      },
    });
  });

  test('a stream is events, or lines with result or error', () => {
    const { content } = operation('GET /v1/watch').responses[200] ?? {};
    const books = { type: 'array', items: { $ref: '#/components/schemas/Book' } };
    expect(content?.['text/event-stream']?.schema).toEqual(books);
    expect(content?.['application/x-ndjson']?.schema?.oneOf).toEqual([
      { type: 'object', properties: { result: books }, required: ['result'] },
      { $ref: '#/components/schemas/Error', description: 'The last line, when the stream breaks off.' },
    ]);
  });
});

test('the caller spells paths, says who may call, and adds paths of its own', () => {
  const extra = { paths: { '/health': {} }, tags: [{ name: 'Health' }], schemas: { Aaa: {} } };
  const options = {
    spellPath: (path: string) => `${path}/`,
    access: () => ({ security: [] }),
    extra,
  };
  const own = describeServices(LIBRARY, options);
  expect(Object.keys(own.paths)).toContain('/v1/books/');
  expect(Object.keys(own.paths).at(-1)).toBe('/health');
  expect(own.tags.map(({ name }) => name)).toEqual(['Library', 'Health']);
  expect(Object.keys(own.components.schemas)[0]).toBe('Aaa');
  const list = operationsOf(own).get('GET /v1/books/');
  expect(list?.security).toEqual([]);
  expect(list?.responses).not.toHaveProperty('401');
});

const METHOD = 'rpc Get(google.protobuf.Empty) returns (google.protobuf.Empty)';
test.each([
  [
    'two methods on one path',
    `${METHOD} { option (google.api.http) = {get: "/a/*"}; }
     ${METHOD.replace('Get', 'Other')} { option (google.api.http) = {get: "/a/*"}; }`,
    'odd.v1.Odd/Other: GET /a/*: another method is bound there',
  ],
  [
    'an HTTP method that OpenAPI has no word for',
    `${METHOD} { option (google.api.http) = {custom: {kind: "PURGE" path: "/a"}}; }`,
    'odd.v1.Odd/Get: PURGE /a: OpenAPI 3.1 has no such HTTP method',
  ],
])('refuses %s', (_, methods, message) => {
  expect(() => describeServices(compile(`service Odd { ${methods} }`))).toThrow(message);
});

test('refuses an example that is not of its message', () => {
  const examples = { Library_MoveBook: { shelve: 'low' } };
  expect(() => describeServices(LIBRARY, { examples })).toThrow('the example of Library_MoveBook');
});

test('refuses an example of no operation', () => {
  expect(() => describeServices(LIBRARY, { examples: { Library_Gone: {} } })).toThrow('Library_Gone');
});
