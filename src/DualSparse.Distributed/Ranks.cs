using DualSparse.Distributed.Mpi;
using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Distributed;

/// <summary>
/// One model over the processes that <c>mpirun</c> has started. Each of them calls <see cref="Run(string, EngineOptions?, Func{MoeModel, int})"/>: the
/// first does the work, the others run each of its passes with their part of the model.
/// </summary>
public static class Ranks
{
    // Longer than a launcher takes to see a cut cable.
    private static readonly TimeSpan s_peerTimeout = TimeSpan.FromSeconds(30);

    /// <summary>The number of processes that were started together; 1 where no launcher has started this one.</summary>
    public static int Count => MpiLaunch.Current?.Size ?? 1;

    /// <summary>Loads a model over all ranks and works with it. With one rank nothing of MPI is loaded.</summary>
    /// <param name="modelFolder">As for <see cref="MoeModel.Load"/>: each rank reads its part of it.</param>
    /// <param name="options">Weights, threads and kernels; null: the defaults. Threads are each rank's, by default its share of the machine's cores.</param>
    /// <param name="work">What to do with the model, on the first rank.</param>
    /// <returns>What <paramref name="work"/> returned; on other ranks 0, or 1 where the ranks couldn't begin. It is meant for the process's exit code.</returns>
    /// <remarks>
    /// Where several ranks were started, an exception in one of them, or a lost one, is written to standard error in a sentence, and ends all processes:
    /// with exit code 70 where a rank was lost or hangs, else 1. The others could not go on without it. An exception inside a pass that
    /// <paramref name="work"/> catches ends them as it returns; until then every further pass is refused.
    /// </remarks>
    /// <exception cref="Models.ModelFormatException">With one rank: as <see cref="MoeModel.Load"/>.</exception>
    /// <exception cref="ArgumentException">With one rank: as <see cref="MoeModel.Load"/>.</exception>
    public static int Run(string modelFolder, EngineOptions? options, Func<MoeModel, int> work)
    {
        ArgumentNullException.ThrowIfNull(work);
        options ??= new EngineOptions();
        return MpiLaunch.Current is { Size: > 1 } launch
            ? Join(launch, s_peerTimeout, () => modelFolder, options, how: null, () => RankWork.Usual, (chosen, _) => Load(chosen), Tell)
            : Load(options);

        int Load(EngineOptions chosen)
        {
            using var model = MoeModel.Load(modelFolder, chosen);
            return work(model);
        }

        void Tell(Exception e, string rank) => Console.Error.WriteLine($"dualsparse: {rank}{e.Message}");
    }

    /// <summary>Joins the ranks of a launcher, and does the first one's work or serves it.</summary>
    /// <param name="launch">What the launcher says.</param>
    /// <param name="patience">How long a rank may be silent where something is expected of it.</param>
    /// <param name="folder">Gives the model's folder.</param>
    /// <param name="options">Weights, threads, kernels.</param>
    /// <param name="how">How experts are placed; null: as is predicted to be the fastest.</param>
    /// <param name="use">What the placement is chosen for, if it is free; asked on the first rank.</param>
    /// <param name="work">The first rank's work: it loads the model with the options it is given.</param>
    /// <param name="tell">Tells the user of an exception, and whose it is (empty: the first rank's).</param>
    internal static int Join(
        MpiLaunch launch, TimeSpan patience, Func<string> folder, EngineOptions options, PlacementKind? how, Func<RankWork> use, Func<EngineOptions, RankPlacement, int> work, Action<Exception, string> tell)
    {
        options = options with { Threads = options.Threads ?? Math.Max(1, ThreadTeam.Available / launch.LocalSize) };
        return Join(launch, patience, group =>
        {
            if (group.Rank != 0)
                RankProbe.Answer(group, options.Weights, options.Threads.Value);
            else
                Choose(group);
            return RankedModel.Run(group, folder, options, how, work);
        }, tell);

        void Choose(RankGroup group)
        {
            // How its experts are cut isn't known yet where that is free: rates of whole ones are near.
            if (options.Balance is { } balance && balance.Rates == default)
            {
                var config = ModelConfig.Load(folder());
                int neurons = (config.Moe?.Intermediate ?? 1) / (how is { Setting: null } ? Math.Max(1, how.Parts ?? group.Size) : 1);
                options = options with { Balance = balance with { Rates = RankProbe.MeasureExperts(group, options.Weights, config.HiddenSize, Math.Max(1, neurons), options.Threads!.Value) } };
            }

            if (how is null)
                how = PlacementKind.Fastest(Measure(group, options, use()));
            else
                RankProbe.Finish(group);
        }
    }

    /// <summary>Joins the ranks of a launcher, without a model.</summary>
    /// <param name="launch">What the launcher says.</param>
    /// <param name="patience">How long a rank may be silent where something is expected of it.</param>
    /// <param name="work">This rank's work.</param>
    /// <param name="tell">Tells the user of an exception, and whose it is (empty: the first rank's).</param>
    internal static int Join(MpiLaunch launch, TimeSpan patience, Func<RankGroup, int> work, Action<Exception, string> tell)
    {
        var group = RankGroup.Join(patience);
        try
        {
            int[] processes = Handshake.Introduce(group);
            // Our launcher waits for it, to tell a rank that is lost from one that couldn't be started.
            if (launch.Rank == 0 && Environment.GetEnvironmentVariable(RankErrors.Variable) is { Length: > 0 })
                Console.Error.WriteLine($"{RankErrors.Began} {string.Join(' ', processes)}");
            int code = work(group);
            group.Leave(Say);
            return code;
        }
        catch (Exception e)
        {
            // The others wait for this one. An interrupt, or a launcher that ends ranks as one is lost, is no fault of this rank's.
            if (e is not OperationCanceledException)
                Say(e);
            CLibrary.AwaitErrorsRead();
            group.Abort(e switch { PeerLostException => PeerLostException.ExitCode, OperationCanceledException => RankLauncher.Interrupted, _ => 1 });
            throw;
        }

        void Say(Exception e)
        {
            tell(e, launch.Rank == 0 || e is PeerLostException ? "" : $"rank {launch.Rank}: ");
            Console.Error.Flush();
        }
    }

    /// <summary>What a placement is chosen by, measured by the first rank; the others answer meanwhile.</summary>
    internal static PlacementSetting Measure(RankGroup group, EngineOptions options, RankWork work)
    {
        var form = (options.Kernels ?? KernelSet.Best())[options.Weights].Activations;
        var (machine, link) = RankProbe.Measure(group, options.Weights, options.Threads!.Value);
        return new PlacementSetting(work, options.Weights, form, machine, link);
    }
}
