import { describe, expect, test } from 'vitest';
import { runProgram } from '../helpers/program.ts';
import { runHere } from './run-here.ts';

describe('the command line', () => {
  test('--help shows usage, options, examples and exit codes', async () => {
    const { code, stdout, stderr } = await runHere('--help');
    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const part of [
      'Usage: sluice [options] [command]',
      '--config <file>',
      '--port <number>',
      '(default: 4000)',
      '--host <address>',
      '--detailed_debug',
      '--workers <number>',
      '--insecure-open',
      'check-config <file>',
      'proxy',
      'sluice --config config.yaml',
      'SLUICE_MASTER_KEY',
      'HOSTED_VLLM_API_BASE',
      'Exit codes: 0',
    ]) {
      expect(stdout).toContain(part);
    }
  });

  test('--version shows the version alone', async () => {
    const { code, stdout } = await runHere('--version');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
  });

  test('proxy has the same options', async () => {
    const { code, stdout } = await runHere('proxy', '--help');
    expect(code).toBe(0);
    expect(stdout).toContain('Usage: sluice proxy [options]');
    expect(stdout).toContain('--config <file>');
  });

  test.each([
    [['--confg', 'x'], "unknown option '--confg'", 'Did you mean --config?'],
    [['proxy', '--prot', '1'], "unknown option '--prot'", 'Did you mean --port?'],
    [['chek-config', 'x'], "unknown command 'chek-config'", 'Did you mean check-config?'],
    [['start'], "unknown command 'start'", 'sluice --help'],
    [['--port', 'http'], "'http' is invalid", 'a port is a number from 0 to 65535'],
    [['--port', '65536'], "'65536' is invalid", 'a port is a number from 0 to 65535'],
    [['--workers', '0'], "'0' is invalid", 'from 1 to 256'],
    [['--config'], 'argument missing', '--config <file>'],
    [['proxy', 'x'], 'too many arguments', 'Expected 0 arguments'],
    [['check-config'], 'missing required argument', 'file'],
  ])('%j is refused with exit code 2 and a hint', async (args, fault, hint) => {
    const { code, stdout, stderr } = await runHere(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(fault);
    expect(stderr).toContain(hint);
  });

  test('the program ends with the code of its command line', async () => {
    const ended = await runProgram('--confg', 'x');
    expect([ended.code, ended.stdout]).toEqual([2, '']);
    expect(ended.stderr).toBe("error: unknown option '--confg'\n(Did you mean --config?)\n");
  });
});
