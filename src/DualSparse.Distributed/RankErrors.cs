using DualSparse.Distributed.Mpi;

namespace DualSparse.Distributed;

/// <summary>
/// What comes from the ranks' standard error: their own lines are the user's, with one sentence about a mistake, the first; what the launcher and the
/// libraries say themselves isn't, nor what ranks say while they are ended.
/// </summary>
internal sealed class RankErrors(TextWriter user)
{
    /// <summary>The environment variable by which our launcher asks rank 0 for <see cref="Began"/>.</summary>
    public const string Variable = "DUALSPARSE_LAUNCHED";

    /// <summary>What the line begins with by which rank 0 tells our launcher that all ranks have met. Their process ids follow.</summary>
    public const string Began = "dualsparse-ranks-have-met";

    private const string Ours = "dualsparse: ";

    private readonly LauncherText theirs = new();
    private readonly List<string> before = [];
    private int[] processes = [];
    private string? ended;

    /// <summary>Whether the ranks have met.</summary>
    public bool HaveMet { get; private set; }

    /// <summary>Whether a rank has said why it ends.</summary>
    public bool Said { get; private set; }

    /// <summary>Whether that was that it has lost another.</summary>
    public bool Lost { get; private set; }

    /// <summary>Whether ranks can't be started, though the launcher may not end.</summary>
    public bool GaveUp { get; private set; }

    /// <summary>The first line that came before the ranks had met, of whomever; null: none.</summary>
    public string? Reason { get; private set; }

    /// <summary>Takes the next line.</summary>
    public void Take(string line)
    {
        if (Said || string.IsNullOrWhiteSpace(line))
            return;
        GaveUp |= !HaveMet && LauncherText.IsUnreachable(line);
        if (LauncherText.EndedRank(line) is { } one)
            ended ??= Name(one.Rank, one.Host);
        if (line.StartsWith(Began, StringComparison.Ordinal))
            Meet([.. line.Split(' ')[1..].Select(int.Parse)]);
        else if (line.StartsWith(Ours, StringComparison.Ordinal))
            Say(line);
        else if (!theirs.IsTheirs(line))
            Pass(line);
        Reason ??= HaveMet ? null : line;
    }

    /// <summary>Gives the user the sentence that no rank could.</summary>
    public void Conclude(string sentence)
    {
        if (!Said)
            Say(Ours + sentence);
    }

    /// <summary>The rank that the launcher has seen end first; null: it doesn't say which.</summary>
    /// <param name="page">What the launcher has written at the end, on standard output.</param>
    public string? FirstEnded(string page)
    {
        if (ended is not null || LauncherText.EndedProcess(page) is not { } one)
            return ended;
        // On two hosts two ranks may have the same.
        int rank = Array.IndexOf(processes, one.Process);
        return rank >= 0 && rank == Array.LastIndexOf(processes, one.Process) ? Name(rank, one.Host) : null;
    }

    private static string Name(int rank, string host) => $"rank {rank} ({host})";

    private void Meet(int[] ids)
    {
        (HaveMet, processes) = (true, ids);
        before.ForEach(user.WriteLine);
    }

    private void Pass(string line)
    {
        if (HaveMet)
            user.WriteLine(line);
        else
            before.Add(line);
    }

    private void Say(string sentence)
    {
        Said = true;
        Lost = sentence.EndsWith(PeerLostException.End, StringComparison.Ordinal);
        user.WriteLine(sentence);
    }
}
