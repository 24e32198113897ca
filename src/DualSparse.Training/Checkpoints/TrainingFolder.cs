using System.Globalization;
using System.Text.RegularExpressions;
using DualSparse.Models;
using DualSparse.Training.Optimisation;

namespace DualSparse.Training.Checkpoints;

/// <summary>
/// The folder <c>training</c> beside a model that is trained: its last two checkpoints, each a folder that has its name only once it is whole,
/// and the curve. One process at a time has it.
/// </summary>
internal sealed partial class TrainingFolder : IDisposable
{
    /// <summary>Its name in the model's folder.</summary>
    public const string Name = "training";

    // The newest, and the one before it, should the newest turn out to be damaged.
    private const int Kept = 2;

    private readonly string folder;
    private readonly FileStream claim;

    private TrainingFolder(string folder, FileStream claim) => (this.folder, this.claim) = (folder, claim);

    /// <summary>The curve's file.</summary>
    public string CurveFile => Path.Combine(folder, TrainingCurve.FileName);

    /// <summary>The checkpoints, the newest first.</summary>
    public IReadOnlyList<(int Step, string Path)> Checkpoints =>
        [.. Directory.EnumerateDirectories(folder).Select(path => (Match: CheckpointName().Match(Path.GetFileName(path)), Path: path)).Where(found => found.Match.Success)
            .Select(found => (Step: int.Parse(found.Match.Groups["step"].ValueSpan, CultureInfo.InvariantCulture), found.Path)).OrderByDescending(found => found.Step)];

    /// <summary>Opens the folder of a run, and removes what a process that was killed left unfinished.</summary>
    /// <param name="output">The model's folder.</param>
    /// <exception cref="IOException">Another process trains there, or this user may not write there.</exception>
    /// <exception cref="ModelFormatException">No run has begun there.</exception>
    public static TrainingFolder Open(string output)
    {
        string folder = Path.Combine(output, Name);
        if (!Directory.Exists(folder))
            throw new ModelFormatException($"{output}: there is no training run to resume, as it has no folder '{Name}': --init takes a model to train further, --config starts a new one");
        FileStream claim;
        try
        {
            claim = new FileStream(Path.Combine(folder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"{folder}: this user may not write there", e);
        }
        catch (IOException e)
        {
            throw new IOException($"{folder}: another process trains there: wait until it has ended", e);
        }

        foreach (string left in Directory.EnumerateFileSystemEntries(folder).Concat(Directory.EnumerateFiles(output)).Where(entry => Unfinished().IsMatch(Path.GetFileName(entry))).ToArray())
            Remove(left);
        return new TrainingFolder(folder, claim);
    }

    /// <summary>Writes the first checkpoint of a run whose folder doesn't have its name yet.</summary>
    /// <param name="output">The model's folder to be.</param>
    /// <param name="state">What it says; its check sums are filled in.</param>
    /// <param name="set">The weights.</param>
    /// <param name="optimizer">AdamW's means.</param>
    /// <param name="curve">The curve so far.</param>
    /// <exception cref="IOException">Writing failed.</exception>
    public static void Begin(string output, TrainingState state, ParameterSet set, AdamW optimizer, TrainingCurve curve)
    {
        string folder = Path.Combine(output, Name), checkpoint = Path.Combine(folder, NameOf(state.Step));
        Directory.CreateDirectory(checkpoint);
        Fill(checkpoint, state, set, optimizer, curve);
        curve.Write(Path.Combine(folder, TrainingCurve.FileName));
    }

    /// <summary>Writes a checkpoint, whole or not at all, and removes those before the last two. Where there is no room, the older of them goes first.</summary>
    /// <param name="state">What it says; its check sums are filled in.</param>
    /// <param name="set">The weights.</param>
    /// <param name="optimizer">AdamW's means.</param>
    /// <param name="curve">The curve so far.</param>
    /// <exception cref="IOException">Writing failed, say because the disk is full; the newest checkpoint before it is there.</exception>
    public void Write(TrainingState state, ParameterSet set, AdamW optimizer, TrainingCurve curve)
    {
        try
        {
            WriteOnce(state, set, optimizer, curve);
        }
        catch (IOException)
        {
            if (!Prune(1))
                throw;
            WriteOnce(state, set, optimizer, curve);
        }

        Prune(Kept);
        curve.Write(CurveFile);
    }

    /// <summary>Lets other processes have the folder.</summary>
    public void Dispose() => claim.Dispose();

    /// <summary>Removes a file or folder of a run.</summary>
    public static void Remove(string path)
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
        else
            File.Delete(path);
    }

    private static void Fill(string folder, TrainingState state, ParameterSet set, AdamW optimizer, TrainingCurve curve)
    {
        state = state with { CheckSums = StateTensors.Write(folder, set, optimizer) };
        curve.Write(Path.Combine(folder, TrainingCurve.FileName));
        state.Write(folder);
        FolderSync.Flush(folder);
    }

    private void WriteOnce(TrainingState state, ParameterSet set, AdamW optimizer, TrainingCurve curve)
    {
        string target = Path.Combine(folder, NameOf(state.Step)), temporary = $"{target}.{Environment.ProcessId}.tmp";
        try
        {
            Directory.CreateDirectory(temporary);
            Fill(temporary, state, set, optimizer, curve);
            Directory.Move(temporary, target);
            FolderSync.Flush(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (Directory.Exists(temporary))
                Directory.Delete(temporary, recursive: true);
            throw new IOException($"{target}: the checkpoint could not be written ({Cause(e).Message.TrimEnd('.')})", e);
        }
    }

    // Whether there was one to remove.
    private bool Prune(int keep)
    {
        var old = Checkpoints.Skip(keep).ToArray();
        foreach (var (_, path) in old)
        {
            // Another name first: a folder that is half removed is no checkpoint.
            string gone = $"{path}.{Environment.ProcessId}.tmp";
            Directory.Move(path, gone);
            Directory.Delete(gone, recursive: true);
        }

        return old.Length > 0;
    }

    private static Exception Cause(Exception e) => e.InnerException is IOException or UnauthorizedAccessException ? Cause(e.InnerException) : e;

    private static string NameOf(int step) => string.Create(CultureInfo.InvariantCulture, $"step-{step:00000000}");

    [GeneratedRegex("^step-(?<step>[0-9]{8,10})$")]
    private static partial Regex CheckpointName();

    // Temporary names of this program: of checkpoints, weights and curves.
    [GeneratedRegex(@"^(step-[0-9]+|(model|farskip)[\w.-]*|curve\.\w+)\.[0-9]+\.tmp$")]
    private static partial Regex Unfinished();
}
