using DualSparse.Distributed.Mpi;

namespace DualSparse.RankSuite;

/// <summary>
/// Runs cases one after another on the ranks that a launcher has started; the first writes what it found into a file. Or starts two ranks, one of which
/// fails in a pass.
/// </summary>
internal static class Program
{
    private const string Fault = "fault";

    // Tests beside it take the cores.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private static int Main(string[] args)
    {
        if (MpiLaunch.Current is not { } launch)
            return Start(args);
        return Distributed.Ranks.Join(launch, s_patience, group =>
        {
            if (args[0] == Fault)
                FaultyPass.Run(group, args[1], int.Parse(args[2]));
            else
                RunCases(group, args[0], args[1..]);
            return 0;
        }, (e, rank) => Console.Error.WriteLine($"dualsparse: {rank}{(args[0] == Fault ? e.Message : e)}"));
    }

    private static void RunCases(Distributed.RankGroup group, string file, string[] cases)
    {
        using var walks = group.Rank == 0 ? new WalkWriter(file) : null;
        foreach (string text in cases)
            RankCase.Parse(text).Run(group, walk => walks!.Write(walk));
    }

    private static int Start(string[] args)
    {
        using var output = Console.OpenStandardOutput();
        string[] program = ["dotnet", typeof(Program).Assembly.Location, .. args];
        return Distributed.RankLauncher.Run(program, 2, [], output, () => false, Console.Error, CancellationToken.None);
    }
}
