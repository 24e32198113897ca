using System.Diagnostics;
using System.Globalization;
using DualSparse.Models.Safetensors;
using DualSparse.Training.Checkpoints;

namespace DualSparse.Tests.Training;

/// <summary><c>dualsparse train</c> as a process of its own: killed, interrupted, on a disk that is full.</summary>
public sealed class TrainProcessTests(ITestOutputHelper output) : IDisposable
{
    // How many kills a long run makes; a usual one makes a few.
    private const string Variable = "DUALSPARSE_KILLS";
    private const int UsualKills = 4;

    private const int Steps = 40;

    private readonly TinyRun run = new();

    private static string Program => Path.Combine(AppContext.BaseDirectory, "dualsparse.dll");

    [Fact]
    public void Killed_at_any_moment_and_resumed_it_is_the_same_to_the_bit()
    {
        int kills = int.Parse(Environment.GetEnvironmentVariable(Variable) ?? $"{UsualKills}", CultureInfo.InvariantCulture);
        long began = Stopwatch.GetTimestamp();
        using (var whole = Run("whole"))
            Assert.Equal(0, End(whole).Code);
        var expected = run.Left("whole");
        double milliseconds = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        var random = new Random(20);
        int killed = 0, ended = 0, early = 0, afterwards = 0;
        while (killed < kills || afterwards > 0)
        {
            using var process = Run("killed");
            // Three in four fall into the run itself, the others before it, too.
            for (bool late = random.Next(4) > 0; late && !Directory.Exists(run.At("killed")) && !process.WaitForExit(5);)
            {
            }

            // The last run is left alone, so that every kill is looked at.
            bool ends = killed >= kills || process.WaitForExit((int)(random.NextDouble() * milliseconds));
            if (!ends)
            {
                process.Kill();
                process.WaitForExit();
                (killed, afterwards) = (killed + 1, afterwards + 1);
                if (!Directory.Exists(run.At("killed")))
                    early++;
                else
                    Whole(run.At("killed"));
                continue;
            }

            var (code, _, errors) = End(process);
            Assert.True(code == 0, errors);
            Assert.Equal(expected, run.Left("killed"));
            Directory.Delete(run.At("killed"), recursive: true);
            (ended, afterwards) = (ended + 1, 0);
        }

        output.WriteLine($"{killed} kills, {early} of them before the folder was there, in {ended} runs that ended");
    }

    [Fact]
    public void Interrupted_it_writes_a_checkpoint_and_says_how_to_go_on()
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("sends a signal");
        using var process = Run("out", "--steps", "100000");
        while (!Directory.Exists(Path.Combine(run.At("out"), TrainingFolder.Name)))
            Assert.False(process.WaitForExit(20));
        Thread.Sleep(300);
        // As Ctrl-C does it, but for shells that have background jobs ignore that.
        using (var signal = Process.Start("kill", ["-TERM", $"{process.Id}"]))
            signal.WaitForExit();
        var (code, said, errors) = End(process);
        Assert.Equal((130, ""), (code, said));
        Assert.Matches(@"a checkpoint of step \d+ is written; '.*dualsparse train --resume .*out' goes on from there", errors);
        using var trainer = run.Resume("out");
        Assert.Contains($"a checkpoint of step {trainer.Done} is written", errors);
    }

    [Fact]
    public void A_full_disk_is_one_sentence_and_with_room_the_run_goes_on()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("fills a small tmpfs");
        Directory.CreateDirectory(run.At("disk"));
        using (var whole = Run("whole"))
            Assert.Equal(0, End(whole).Code);

        // 3 MB hold the first checkpoint and no other; 5 MB hold two of them, and the third finds room once the first is gone.
        const string script = """
            set -e
            disk=$1; shift
            mount -t tmpfs -o size=3m tmpfs "$disk"
            code=0; dotnet "$@" >/dev/null || code=$?
            echo "$code"; ls "$disk/out/training" | tr '\n' ' '; echo
            mount -o remount,size=5m "$disk"
            code=0; dotnet "$1" train --resume "$disk/out" --threads 1 >/dev/null || code=$?
            echo "$code"; ls "$disk/out/training" | tr '\n' ' '; echo
            cp -r "$disk/out" "$disk.copy"
            """;
        if (Wait("unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", run.At("disk")).Code != 0)
            Assert.Skip("needs a namespace of its own, in which a tmpfs may be mounted");
        string[] arguments = [Program, .. New(Path.Combine(run.At("disk"), "out")), "--steps", $"{Steps}"];
        var (code, said, errors) = Wait("unshare", ["-rm", "sh", "-c", script, "sh", run.At("disk"), .. arguments]);
        output.WriteLine($"{said}\n{errors}");
        Assert.Equal(0, code);
        string[] lines = said.Split('\n');
        Assert.Equal("1", lines[0]);
        Assert.StartsWith("curve.csv", lines[1]);
        Assert.Contains("lock step-00000000 ", lines[1]);
        Assert.Equal("0", lines[2]);
        Assert.Contains("step-00000040 ", lines[3]);
        string sentence = Assert.Single(errors.Split('\n'), line => line.StartsWith("dualsparse: ", StringComparison.Ordinal));
        Assert.Matches("step-00000001: the checkpoint could not be written .*--resume .* goes on from there once there is room", sentence);
        Assert.Equal(run.Left("whole"), TinyRun.Left("disk.copy", Path.GetDirectoryName(run.At("disk"))!));
    }

    public void Dispose() => run.Dispose();

    // An ordinary model at every moment, and no checkpoint that isn't whole.
    private static void Whole(string folder)
    {
        using (Checkpoint.Open(folder))
        {
        }

        string[] checkpoints = [.. Directory.GetDirectories(Path.Combine(folder, TrainingFolder.Name), "step-*").Where(path => !path.EndsWith(".tmp", StringComparison.Ordinal))];
        Assert.InRange(checkpoints.Length, 1, 3);
        Assert.All(checkpoints, path => Assert.Equal(5, Directory.GetFiles(path).Length));
    }

    private static (int Code, string Output, string Errors) End(Process process)
    {
        var errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.Result);
    }

    private static (int Code, string Output, string Errors) Wait(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        return End(process);
    }

    // A checkpoint after every step; the run goes on where it has begun.
    private Process Run(string name, params string[] more)
    {
        string folder = run.At(name);
        string[] arguments = Directory.Exists(folder) ? ["train", "--resume", folder, "--threads", "1"] : [.. New(folder), .. more is [] ? ["--steps", $"{Steps}"] : more];
        return Process.Start(new ProcessStartInfo("dotnet", [Program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
    }

    private string[] New(string folder) =>
        ["train", "--config", run.Config, "--tokenizer", TestPaths.Model, "--text", run.Text, "-o", folder, "--context", "32", "--batch-tokens", "128", "--threads", "1", "--checkpoint-every", "1"];
}
