package io.tercel.trainer.eval.code;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.trainer.eval.code.Sandbox.Outcome;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Where Linux lets nobody make namespaces there is no sandbox, and nothing to test. */
@Timeout(120)
final class SandboxTest {
  private static final ProcessLimits LIMITS =
      new ProcessLimits(Duration.ofSeconds(1), Duration.ofSeconds(3), 1L << 30, 1 << 20, 1 << 16);

  private static @Nullable Sandbox sandbox;

  @BeforeAll
  static void find() throws InterruptedException {
    Namespaces.assume();
    sandbox = Sandbox.find(false);
  }

  private static Outcome run(String program, String input) throws InterruptedException {
    Sandbox found = sandbox;
    assertNotNull(found);
    return found.run(program, input, LIMITS);
  }

  private static String printed(String program) throws InterruptedException {
    Outcome outcome = run(program, "");
    assertNull(outcome.fault(), outcome::toString);
    return outcome.output().strip();
  }

  private static String fault(String program) throws InterruptedException {
    return String.valueOf(run(program, "").fault());
  }

  @Test
  void program_readsInputAndPrints() throws InterruptedException {
    Outcome outcome =
        run("n = int(input())\nprint(sum(map(int, input().split())) * n, gcd(4, 6))", "2\n3 4\n");
    assertEquals(new Outcome("14 2\n", null), outcome);
    assertEquals("main", printed("if __name__ == '__main__':\n  print('main')"));
  }

  @Test
  void function_getsArguments_andItsPrintsAreNoResult() throws InterruptedException {
    Sandbox found = sandbox;
    assertNotNull(found);
    String method =
        "class Solution:\n  def f(self, a: List[int], b: str):\n    print('noise')\n"
            + "    return (a[::-1], b)\nprint('more noise')";
    assertEquals(
        new Outcome("[[3, 2], \"x\"]", null), found.call(method, "f", "[2,3]\n\"x\"", LIMITS));
    assertEquals(new Outcome("5", null), found.call("def f(a): return a + 1", "f", "4", LIMITS));
    assertEquals("fails with status 1", found.call("x = 1", "f", "4", LIMITS).fault());
  }

  @Test
  void network_isRefused() throws IOException, InterruptedException {
    try (ServerSocket here = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String program =
          "import socket\ntry:\n  socket.create_connection(('127.0.0.1', %d), 2)\n  print('through')\n"
                  .formatted(here.getLocalPort())
              + "except OSError as e:\n  print('refused')";
      assertEquals("refused", printed(program));
    }
    assertEquals(
        "refused",
        printed(
            "import socket\ntry:\n  socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
                + ".connect(('192.0.2.1', 9))\nexcept OSError:\n  print('refused')"));
  }

  @Test
  void memory_isBounded() throws InterruptedException {
    assertEquals("fails with status 1", fault("x = bytearray(2 << 30)"));
    assertEquals("ok", printed("x = bytearray(1 << 28)\nprint('ok')"));
  }

  @Test
  void files_areBoundedAndGone() throws InterruptedException {
    String folder = printed("import os\nopen('a.txt', 'w').write('x' * 1000)\nprint(os.getcwd())");
    assertFalse(Files.exists(Path.of(folder)), folder);
    assertEquals(
        "bounded",
        printed(
            "try:\n  with open('a', 'wb') as f:\n    f.write(b'x' * (2 << 20))\n"
                + "except OSError:\n  print('bounded')"));
  }

  @Test
  void processes_areBoundedAndDieWithTheProgram() throws InterruptedException {
    String bomb =
        "import os, time\nn = 0\ntry:\n  while n < 500:\n    if os.fork() == 0:\n      time.sleep(60)\n"
            + "    n += 1\nexcept OSError:\n  pass\nprint(n)";
    long before = ProcessHandle.allProcesses().count();
    int forked = Integer.parseInt(printed(bomb));
    assertTrue(forked < 40, forked + " processes");
    assertTrue(ProcessHandle.allProcesses().count() < before + 10, "they are still there");
  }

  @Test
  void time_isBounded() throws InterruptedException {
    assertEquals("out of time", fault("while True: pass"));
    assertEquals("out of time", fault("import time\ntime.sleep(60)"));
    String stubborn =
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass";
    assertEquals("killed", fault(stubborn));
    assertEquals("prints too much", fault("print('x' * 100000)"));
    assertEquals("fails with status 3", fault("sys.exit(3)"));
    assertEquals("fails with status 139", fault("import os\nos.kill(os.getpid(), 11)"));
    assertEquals("killed", fault("import os\nos.kill(os.getpid(), 9)"));
    assertEquals("fails with status 1", fault("def f(:"));
  }

  @Test
  void environment_isEmpty() throws InterruptedException {
    String names = printed("import os\nprint(sorted(os.environ))");
    for (String name : System.getenv().keySet()) {
      boolean own =
          name.matches(
              "PATH|PWD|OLDPWD|HOME|TMPDIR|LANG|LC_CTYPE|PYTHONHASHSEED|OPENBLAS_NUM_THREADS");
      assertTrue(own || !names.contains("'" + name + "'"), name);
    }
  }
}
