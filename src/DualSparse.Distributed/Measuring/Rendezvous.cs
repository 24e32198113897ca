using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Distributed.Measuring;

/// <summary>What ranks that measure together need beside their measurement: to mean the same one, to begin together, and to bring figures together.</summary>
internal sealed unsafe class Rendezvous(RankGroup group)
{
    /// <summary>All ranks are told the same: else they would wait for each other's messages.</summary>
    /// <param name="told">What this rank was told, whole.</param>
    /// <exception cref="MpiException">On rank 0: a rank was told something else.</exception>
    public void Agree(string told)
    {
        string version = typeof(Rendezvous).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
        double[] digest = [.. MemoryMarshal.Cast<byte, int>(SHA256.HashData(Encoding.UTF8.GetBytes($"{version} {told}"))).ToArray().Select(part => (double)part)];
        double[][] all = Gather(digest);
        if (Array.FindIndex(all, other => !other.SequenceEqual(digest)) is >= 0 and var rank)
            throw new MpiException($"rank {rank} was started with other options than rank 0, or is another version: start all ranks alike");
        Barrier();
    }

    /// <summary>Goes on once all ranks are here.</summary>
    public void Barrier()
    {
        byte gone = 0, come = 0;
        // After step s a rank has heard, directly or through others, of the 2^(s+1) − 1 before it.
        for (int distance = 1; distance < group.Size; distance *= 2)
        {
            using var coming = group.Receive((group.Rank - distance + group.Size) % group.Size, RankTag.Barrier, &come, 1);
            using var going = group.Send((group.Rank + distance) % group.Size, RankTag.Barrier, &gone, 1);
            group.Wait(coming, "a barrier");
            group.Wait(going, "a barrier");
        }
    }

    /// <summary>Rank 0 does something alone; the others leave it the machine, and wait for as long as it takes.</summary>
    /// <param name="work">What rank 0 does.</param>
    public void Alone(Action work)
    {
        byte done = 0;
        if (group.Rank != 0)
        {
            using var message = group.Receive(0, RankTag.Alone, &done, 1);
            // To ask more often would take time from who is measured.
            while (!message.Done())
                Thread.Sleep(1);
            return;
        }

        work();
        for (int rank = 1; rank < group.Size; rank++)
        {
            using var message = group.Send(rank, RankTag.Alone, &done, 1);
            group.Wait(message, "the end of what rank 0 does alone");
        }
    }

    /// <summary>Rank 0 gets everybody's figures, by rank; another gets none.</summary>
    /// <param name="own">As many as on every rank.</param>
    public double[][] Gather(double[] own)
    {
        int bytes = own.Length * sizeof(double);
        if (group.Rank != 0)
        {
            fixed (double* figures = own)
            {
                using var message = group.Send(0, RankTag.Figures, figures, bytes);
                group.Wait(message, "the figures");
            }

            return [];
        }

        double[][] all = [own, .. Enumerable.Range(1, group.Size - 1).Select(_ => new double[own.Length])];
        for (int rank = 1; rank < group.Size; rank++)
        {
            fixed (double* figures = all[rank])
            {
                using var message = group.Receive(rank, RankTag.Figures, figures, bytes);
                group.Wait(message, "the figures");
            }
        }

        return all;
    }
}
